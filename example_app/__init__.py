"""An example application: sign up, sign in, your devices, log out here and elsewhere. See README.md."""
