"""Looking at drives, results and live topics in rerun's viewer, and at a single frame with Open3D."""
