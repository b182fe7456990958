"""What the data plane says of itself: its addresses, an OpenAPI document and a page, and help where one is missed."""
