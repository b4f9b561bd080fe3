"""Named peers: published equations in one file each, and runners for packages that need environments of their own."""
