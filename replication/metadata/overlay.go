package metadata

// With returns the image with objects beside, or in place of, its own. Nothing of them is logged: they are what one session alone sees. Whoever gives
// them has seen to their OIDs, versions and names.
func (img *Image) With(objects []*Object) *Image {
	if len(objects) == 0 {
		return img
	}
	tx := img.begin(img.index)
	for _, o := range objects {
		tx.putObject(o)
	}
	return tx.commit()
}

// TakeObjects takes the changes of some objects, those whose OID is mine, out of a batch, from change number start on: they are not to be logged. What was put
// and what was deleted is returned in the order of the changes.
func (b *Batch) TakeObjects(start int, mine func(OID) bool) (put []*Object, deleted []OID) {
	kept := b.entry.changes[:start]
	for _, c := range b.entry.changes[start:] {
		switch c := c.(type) {
		case putObject:
			if mine(c.object.OID) {
				put = append(put, c.object)
				continue
			}
		case deleteObject:
			if mine(c.oid) {
				deleted = append(deleted, c.oid)
				continue
			}
		}
		kept = append(kept, c)
	}
	b.entry.changes = kept
	return put, deleted
}
