"""How predictions run: the runners, user code, logs, cancelation, outputs."""
