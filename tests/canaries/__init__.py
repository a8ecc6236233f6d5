"""Canaries: single faults, planted one at a time, each of which a test must find.

```
fault.py    what a fault is
sending.py  faults in sending, rules and orders           data
keeping.py  faults in the database and in what leaves it  data
access.py   faults in who is let in and what is shown     data
plant.py    finds a fault's place in the tree and plants it
tree.py     a copy of the tree, and the tests run in it
run.py      `make canaries`
```
"""

from tests.canaries import access, keeping, sending
from tests.canaries.fault import Fault

FAULTS: tuple[Fault, ...] = (*sending.FAULTS, *keeping.FAULTS, *access.FAULTS)
