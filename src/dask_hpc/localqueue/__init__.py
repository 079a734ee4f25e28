"""The embedded batch system: durable and small, for one machine and one user.

State is one directory, with a database that every command reads and writes by itself. The daemon
looks at that database, so there is no socket to protect; it starts when a job needs it and ends
when none is left. It may be killed at any time: the next command starts another one, which goes
on with the jobs that run.
"""
