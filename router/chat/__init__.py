"""The page /chat, where people ask: its sessions and its files. It answers nothing itself: the data plane does."""
