"""The back-test on bins, in milliseconds, for a page whose lines are being dragged."""
