"""What a bundle is and costs: `perception inspect`."""
