"""What a page shows, made of rows and views alone. Pure: nothing here asks a pool or the database."""
