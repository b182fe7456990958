"""What the pages show and change: one module each, registered in `router.admin.site`."""
