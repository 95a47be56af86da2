package metadata

import (
	"fmt"
	"strconv"
)

// lastStartKey is what a node says of its last registration once its data directory says it too, so that a copy of the directory from before is known for one. It is a setting so that no release need know it: one that does
// not registers without a note, in the directory or here.
func lastStartKey(id int32) SettingKey {
	return SettingKey{Scope: "node", Entity: strconv.Itoa(int(id)), Name: "registration"}
}

// LastStart is the broker epoch of the newest registration that a node has noted for its data directory; 0 if there is none.
func (img *Image) LastStart(id int32, directory string) (epoch uint64) {
	text, _ := img.Setting(lastStartKey(id))
	var of string
	if _, err := fmt.Sscanf(text, "%d %s", &epoch, &of); err != nil || of != directory {
		return 0
	}
	return epoch
}

// NoteStart notes the broker epoch of a registration.
func (b *Batch) NoteStart(id int32, directory UUID, epoch uint64) {
	b.SetSetting(lastStartKey(id), fmt.Sprintf("%d %s", epoch, directory))
}
