"""The worlds, as data: the project's own, and those that the rule was not made for."""

from benchmarks.world import Spec

OWN = Spec(
    "own",
    "starts after 1 to 120 minutes, 1 to 9 minutes a root of the quantity, day and night",
    budgets=(5.25, 0.525),
    limit=100,
    open=1000,
    guarded=1500,
    starts=(1.0, 120.0),
    start_spread=0.8,
    speeds=(1.0, 9.0),
    ticks=(0.0,),
    rhythm=0.6,
)
WORLDS = (
    OWN,
    Spec("base", "like the project's own, other numbers; some panels report progress in ticks"),
    Spec(
        "bursts",
        "it works for 15 minutes every 2 to 3 hours; orders come in bursts",
        stands=(105.0, 165.0),
        works=(15.0, 15.0),
        catches_up=True,
        bursts=True,
    ),
    Spec(
        "freezes",
        "it works for 2 to 6 hours and stands still for as long; then all happens at once",
        stands=(120.0, 360.0),
        works=(120.0, 360.0),
    ),
    Spec("silent", "it tells the status only", remains=False),
    Spec(
        "guarded",
        "95 % of the orders are finished and guarded, 15 % of these change in a month",
        open=175,
        guarded=3325,
        guard_changes=0.15,
    ),
    Spec(
        "deadline",
        "orders start and end within the last tenth of their service's deadline",
        deadlines=(120.0, 2880.0),
    ),
)
