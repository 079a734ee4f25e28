"""Programs that the tests start with mpirun."""

INITIALIZE = """
import sys
from distributed import Client
from dask_hpc.mpi import initialize

initialize(**eval(sys.argv[1]))
with Client() as client:
    client.wait_for_workers(int(sys.argv[2]), timeout=60)
    names = sorted(worker["name"] for worker in client.scheduler_info()["workers"].values())
    memory = sum(worker["memory_limit"] for worker in client.scheduler_info()["workers"].values())
    print("result", client.submit(pow, 2, 10).result(timeout=30), names, client.scheduler.address)
    print("memory", memory)
exec(sys.argv[3])
"""

EXECUTE = """
import sys
from distributed import Client
from dask_hpc.mpi import execute

def compute(text):
    with Client() as client:
        client.wait_for_workers(1, timeout=60)
        print("result", client.submit(pow, 2, 10).result(timeout=30))
    exec(text)

execute(compute, (sys.argv[1],), **eval(sys.argv[2]))
print("after")
"""

AT_ONCE = """
import sys
from dask_hpc.mpi import execute

execute(exec, (sys.argv[1],))
print("after")
"""

NO_EXIT = """
from distributed import Client
from dask_hpc.mpi import initialize, send_close_signal

if initialize(exit=False):
    with Client() as client:
        print("result", client.submit(pow, 2, 10).result(timeout=30))
    send_close_signal()
print("after")
"""

CLIENT = """
import json, sys
from distributed import Client, Security

facts = json.load(open(sys.argv[1]))
with Client(scheduler_file=sys.argv[1], security=Security(**facts["security"])) as client:
    client.wait_for_workers(int(sys.argv[2]), timeout=60)
    workers = client.scheduler_info()["workers"].values()
    print("result", client.submit(pow, 2, 10).result(timeout=30), facts["address"])
    print("names", sorted(str(worker["name"]) for worker in workers))
    print("threads", sum(worker["nthreads"] for worker in workers))
    if sys.argv[3:] == ["shutdown"]:
        client.shutdown()
"""
