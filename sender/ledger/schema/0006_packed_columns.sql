-- Each column of a chunk's recipients stands on a line of its own, so that the one that a call needs is taken out as it is.
update chunk_recipients set packed = repacked(packed);
update tie set packed = repacked(packed);
