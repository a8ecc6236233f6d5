"""What shops are answered that order through the watcher: the panel API, spoken by it."""

from watcher.shop_api.handlers import ACTIONS, ShopHandlers

__all__ = ["ACTIONS", "ShopHandlers"]
