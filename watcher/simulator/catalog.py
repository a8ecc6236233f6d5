"""Services of a simulated panel."""

from decimal import Decimal

import msgspec

from watcher.simulator.fate import DAY, HOUR, MINUTE, Habits

PACKAGES = frozenset({"Package", "Custom Comments Package"})


class SimService(msgspec.Struct, frozen=True, kw_only=True):
    """A row of the price list, with the habits of its orders."""

    service: int
    name: str
    rate: Decimal
    type: str = "Default"
    category: str = "Other"
    min: int = 10
    max: int = 10_000
    refill: bool = False
    refill_days: int = 30
    refills_partial: bool = False
    cancel: bool = False
    dripfeed: bool = False
    desc: str = "Simulated: nothing is delivered."
    average_minutes: int = 60
    habits: Habits = Habits()

    def price(self, quantity: int) -> Decimal:
        """Return an order's price: `rate` is for a thousand, or for one package."""
        cost = self.rate * quantity
        return cents(cost if self.type in PACKAGES else cost / 1000)


def cents(amount: Decimal) -> Decimal:
    """Round an amount to five decimals, as panels do."""
    return amount.quantize(Decimal("0.00001"))


FAST = Habits(pending=(0.0, 2 * MINUTE), per_minute=(100.0, 2000.0), partial=0.02, stalled=0.01)
SLOW = Habits(pending=(10 * MINUTE, 12 * HOUR), per_minute=(0.2, 5.0), stalled=0.05)
BY_HAND = Habits(pending=(HOUR, DAY), per_minute=(0.05, 1.0), canceled=0.1, partial=0.1)
DROPPING = Habits(dropping=0.5, drop=(0.1, 0.6), drop_after=(2 * HOUR, 10 * DAY))

PRICE_LIST = (
    SimService(
        service=1, name="Followers [30 days refill]", category="Followers", rate=Decimal("0.90"),
        min=50, refill=True, cancel=True, dripfeed=True, habits=DROPPING,
    ),
    SimService(
        service=2, name="Followers, real [no refill]", category="Followers", rate=Decimal("2.40"),
        min=20, max=5_000, cancel=True, habits=SLOW,
    ),
    SimService(
        service=3, name="Likes, fast", category="Likes", rate=Decimal("0.1537"),
        max=50_000, refill=True, refills_partial=True, dripfeed=True, habits=FAST,
    ),
    SimService(
        service=4, name="Views, instant", category="Views", rate=Decimal("0.0021"),
        min=100, max=10_000_000, dripfeed=True, habits=FAST,
    ),
    SimService(
        service=5, name="Comments, your texts", type="Custom Comments", category="Comments",
        rate=Decimal("8"), min=1, max=1_500, cancel=True, habits=SLOW,
    ),
    SimService(
        service=6, name="Comments, 5 of your texts", type="Custom Comments Package",
        category="Comments", rate=Decimal("0.75"), min=1, max=1, habits=BY_HAND,
    ),
    SimService(
        service=7, name="Profile boost", type="Package", category="Packages",
        rate=Decimal("4.99"), min=1, max=1, cancel=True, habits=BY_HAND,
    ),
    SimService(
        service=8, name="Website visits by keyword", type="SEO", category="Traffic",
        rate=Decimal("1.20"), min=100, max=100_000, cancel=True,
    ),
    SimService(
        service=9, name="Mentions with hashtags", type="Mentions with Hashtags",
        category="Mentions", rate=Decimal("3.10"), min=100,
    ),
    SimService(
        service=10, name="Mentions, your list", type="Mentions Custom List",
        category="Mentions", rate=Decimal("3.50"), min=1,
    ),
    SimService(
        service=11, name="Mentions by hashtag", type="Mentions Hashtag",
        category="Mentions", rate=Decimal("3.00"), min=100,
    ),
    SimService(
        service=12, name="Mentions of followers", type="Mentions User Followers",
        category="Mentions", rate=Decimal("3.05"), min=100,
    ),
    SimService(
        service=13, name="Mentions of likers", type="Mentions Media Likers",
        category="Mentions", rate=Decimal("3.15"), min=100,
    ),
    SimService(
        service=14, name="Comment likes", type="Comment Likes", category="Likes",
        rate=Decimal("1.75"), refill=True, cancel=True, habits=DROPPING,
    ),
    SimService(
        service=15, name="Poll votes", type="Poll", category="Votes",
        rate=Decimal("0.66"), min=20, habits=FAST,
    ),
    SimService(
        service=16, name="Group members, invited", type="Invites from Groups",
        category="Followers", rate=Decimal("5.25"), min=100, refill=True, refill_days=7,
        habits=DROPPING,
    ),
    SimService(
        service=17, name="Likes on every new post", type="Subscriptions", category="Likes",
        rate=Decimal("0.35"), max=2_000, cancel=True, habits=FAST,
    ),
)  # fmt: skip
