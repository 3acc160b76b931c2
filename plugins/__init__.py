"""What a vendor writes against, and the vendors and observers that are shipped: nothing here knows the rest of the product."""
