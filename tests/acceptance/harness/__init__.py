"""The fault harness: scenarios drawn from a seed, played against the daemon, judged by the oracle.

```
scenario.py   what happens in a scenario, drawn from its seed                      pure
fuse.py       ends the daemon at a chosen point of its work, as a crash would
storm.py      time that tests advance; whatever is due at a time runs at once
stage.py      the daemon in this process, its panels, and its crashes
faults.py     what can be done to panels, clock, disk, configuration and process
crowd.py      people and programs that use the API, and what they were told
play.py       plays a scenario in this process
mortal.py     the real daemon process, ending itself by SIGKILL at a chosen point
verdict.py    what a scenario came to; the table of many
torture.py    `make torture`

cluster.py    three daemons on one PostgreSQL, with a proxy on each way between them
cluster_scenario.py, _people.py, _play.py, _oracle.py, _torture.py
              what the files above are for one daemon; `make torture-cluster`
```
"""
