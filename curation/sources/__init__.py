"""Sources: lists, tars, folders of images and news lists, read into shards of rows that the metadata filters judge."""
