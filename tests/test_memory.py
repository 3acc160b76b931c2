import ctypes
import subprocess
import sys

import pytest

PROGRAM = """
import ctypes
from orchestrator import memory
if {bound}:
    memory.bound()
libc = ctypes.CDLL(None)
libc.malloc.restype, libc.malloc.argtypes, libc.free.argtypes = ctypes.c_void_p, [ctypes.c_size_t], [ctypes.c_void_p]
class Info(ctypes.Structure):
    _fields_ = [(name, ctypes.c_size_t) for name in ("arena", "ordblks", "smblks", "hblks", "hblkhd", "a", "b", "c", "d", "e")]
libc.mallinfo2.restype = Info
libc.free(libc.malloc(4 << 20))
before = libc.mallinfo2().hblks
libc.malloc(4 << 20)
print(libc.mallinfo2().hblks - before)
"""


@pytest.mark.skipif(not hasattr(ctypes.CDLL(None), "mallinfo2"), reason="not glibc 2.33 or newer")
@pytest.mark.parametrize(("bound", "mapped"), [(True, "1"), (False, "0")])
def test_a_large_block_has_a_mapping_of_its_own_also_the_second_time(*, bound: bool, mapped: str) -> None:
    """So that it goes back to the system when it is freed; without `bound` glibc takes the second one from what it keeps."""
    done = subprocess.run([sys.executable, "-c", PROGRAM.format(bound=bound)], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == mapped
