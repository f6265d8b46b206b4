"""A stand-in for the Inrō API, to rehearse against and to prove things with.

It answers every call of the real API, checks what a real server would check, limits rates, fails on demand,
and counts what each recipient would have got. It shares no code with the client, so that one mistake cannot
cancel another.

    async with Sandbox(token="made-up", rate_limit="20/s", faults=Faults(rate_500_after=0.05)) as sandbox:
        ...                              # send to sandbox.url
        sandbox.stats()["most_to_one"]   # 1, or somebody got the message twice
"""

from sender.sandbox.faults import Faults
from sender.sandbox.options import Options
from sender.sandbox.server import Sandbox

__all__ = ["Faults", "Options", "Sandbox"]
