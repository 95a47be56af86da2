package metadata

import "strconv"

// What an operator wants of a node outlives its registrations, so these are settings and not part of the broker.

func drainKey(id int32) SettingKey {
	return SettingKey{Scope: "node", Entity: strconv.Itoa(int(id)), Name: "drain"}
}

func removeKey(id int32) SettingKey {
	return SettingKey{Scope: "node", Entity: strconv.Itoa(int(id)), Name: "remove"}
}

// fullKey is what a node says of itself, not what is wanted of it. It is kept here so that no release need know it.
func fullKey(id int32) SettingKey {
	return SettingKey{Scope: "node", Entity: strconv.Itoa(int(id)), Name: "full"}
}

// Full reports whether a node takes no writes of clients for want of room on its disk, so that it should lead nothing.
func (img *Image) Full(id int32) bool {
	_, ok := img.Setting(fullKey(id))
	return ok
}

// SetFull notes whether a node is Full.
func (b *Batch) SetFull(id int32, full bool) {
	if full {
		b.SetSetting(fullKey(id), "true")
	} else {
		b.UnsetSetting(fullKey(id))
	}
}

func fillKey(id int32) SettingKey {
	return SettingKey{Scope: "node", Entity: strconv.Itoa(int(id)), Name: "fill"}
}

// Drained reports whether a node is to lead nothing, run no queries, and hold only what no other node could.
func (img *Image) Drained(id int32) bool {
	_, ok := img.Setting(drainKey(id))
	return ok
}

// Removed reports whether a node that is out of touch is to be forgotten.
func (img *Image) Removed(id int32) bool {
	_, ok := img.Setting(removeKey(id))
	return ok
}

// Drain asks for a node to be drained, Undrain takes that back.
func (b *Batch) Drain(id int32) { b.SetSetting(drainKey(id), "true") }

// Undrain is the undoing of Drain.
func (b *Batch) Undrain(id int32) { b.UnsetSetting(drainKey(id)) }

// Filling reports whether replicas are to be moved to a node until it has its share.
func (img *Image) Filling(id int32) bool {
	_, ok := img.Setting(fillKey(id))
	return ok
}

// Fill asks for replicas to be moved to a node, Filled says that all moves have begun.
func (b *Batch) Fill(id int32) { b.SetSetting(fillKey(id), "true") }

// Filled is the undoing of Fill.
func (b *Batch) Filled(id int32) { b.UnsetSetting(fillKey(id)) }

// Remove asks for a node to be forgotten, Keep takes that back.
func (b *Batch) Remove(id int32) { b.SetSetting(removeKey(id), "true") }

// Keep is the undoing of Remove.
func (b *Batch) Keep(id int32) { b.UnsetSetting(removeKey(id)) }

// OnlyOn names a partition of which the broker alone has what is committed, if there is one.
func (img *Image) OnlyOn(id int32) (topic string, partition int32, found bool) {
	for t := range img.Topics() {
		for i := range t.Partitions {
			if p := &t.Partitions[i]; len(p.ISR) == 1 && p.ISR[0] == id {
				return t.Name, p.ID, true
			}
		}
	}
	return "", 0, false
}
