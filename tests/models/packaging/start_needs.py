import concurrent.futures, ctypes, mmap, multiprocessing, os, pathlib, socket, subprocess, tempfile
from cog import BasePredictor


def code():
    # return 42: written where it is run, as a compiler at run time does
    page = mmap.mmap(-1, 4096, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC)
    page.write(
        bytes.fromhex("b82a000000c3" if os.uname().machine == "x86_64" else "40058052c0035fd6")
    )
    address = ctypes.addressof(ctypes.c_char.from_buffer(page))
    assert ctypes.CFUNCTYPE(ctypes.c_int)(address)() == 42


def processes():
    with concurrent.futures.ProcessPoolExecutor(2, multiprocessing.get_context("spawn")) as pool:
        assert list(pool.map(abs, [-1, -2])) == [1, 2]


def memory():
    os.close(os.memfd_create("x"))
    mmap.mmap(-1, 1 << 20).madvise(mmap.MADV_HUGEPAGE)
    assert ctypes.CDLL(None).mlock(ctypes.create_string_buffer(4096), 4096) == 0


def files():
    cache = pathlib.Path.home() / ".cache" / "model"
    cache.mkdir(parents=True, exist_ok=True)
    (cache / "x").write_text("x")
    tempfile.NamedTemporaryFile().close()


CHECKS = {
    "code": code,
    "processes": processes,
    "memory": memory,
    "files": files,
    "devices": lambda: open("/dev/zero").close(),
    "processors": lambda: (
        os.sched_setaffinity(0, os.sched_getaffinity(0)),
        os.nice(1),
        open("/proc/cpuinfo").close(),
    ),
    "network": lambda: (
        socket.if_nameindex(),
        socket.socket(socket.AF_INET6).close(),
        socket.socketpair(),
    ),
    "commands": lambda: subprocess.run(["true"], check=True),
}
REFUSED = {
    "etc": lambda: open("/etc/x", "w"),
    "root": lambda: os.listdir("/root"),
    "namespaces": lambda: subprocess.run(
        ["unshare", "--user", "true"], check=True, stderr=subprocess.DEVNULL
    ),
    "packets": lambda: socket.socket(socket.AF_PACKET, socket.SOCK_RAW),
}


def failures(checks):
    found = {}
    for name, check in checks.items():
        try:
            check()
        except Exception as error:
            found[name] = repr(error)
    return found


class Predictor(BasePredictor):
    def predict(self, name: str) -> str:
        failed, refused = failures(CHECKS), failures(REFUSED)
        assert not failed and list(refused) == list(REFUSED), (failed, refused)
        return f"hello {name}"
