"""What a session costs each request: ours and the peers, in process and over uvicorn."""
