"""How the runner talks to the server and the kernel: files, notifications, the C library."""
