"""Serves the panel API to shops."""

from watcher.shop_api.handlers import ACTIONS, ShopHandlers

__all__ = ["ACTIONS", "ShopHandlers"]
