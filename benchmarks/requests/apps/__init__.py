"""One small application per variant, all with the same routes.

``POST /log-in`` begins a session of user 42, or of ``?user=N`` where many are needed. ``GET /me`` needs it and answers
with the user's id; ``GET /perhaps`` asks for it and answers "nobody" without; ``GET /public`` never asks. The bare
applications answer the same, so that nothing but the session makes the difference.
"""
