"""``python -m tests.patient_uvicorn``: uvicorn, its workers too, with limits for a busy machine."""

import uvicorn

import tests.patience  # noqa: F401 - here, so that each process that uvicorn starts does the same

if __name__ == "__main__":
    uvicorn.main()
