package metadata

import (
	"iter"
	"slices"
	"strconv"
	"strings"
)

// Where the tasks of persistent queries run is what the node with the sessions has chosen, and every node acts on. It is kept as settings, since only that node writes them and each choice
// replaces the one before.

const (
	scopeTasks = "query.tasks"
	nodesSep   = ","
	fragSep    = ";"
)

func tasksKey(query OID) SettingKey {
	return SettingKey{Scope: scopeTasks, Entity: strconv.FormatUint(uint64(query), 10), Name: "nodes"}
}

// dealtKey is the setting that names the nodes that were active when the tasks were last levelled.
var dealtKey = SettingKey{Scope: "cluster", Name: "query.tasks.nodes"}

// TaskNodes are the nodes that run the tasks of a query, by fragment and partition, NoLeader for those that none was chosen for; nil if they were never dealt out.
func (img *Image) TaskNodes(query OID) [][]int32 {
	v, ok := img.Setting(tasksKey(query))
	if !ok {
		return nil
	}
	var nodes [][]int32
	for _, f := range strings.Split(v, fragSep) {
		nodes = append(nodes, parseNodes(f))
	}
	return nodes
}

// QueriesWithTasks are the queries that TaskNodes knows, those that were dropped among them.
func (img *Image) QueriesWithTasks() iter.Seq[OID] {
	return func(yield func(OID) bool) {
		for k := range img.Settings(scopeTasks) {
			n, err := strconv.ParseUint(k.Entity, 10, 32)
			if err == nil && !yield(OID(n)) {
				return
			}
		}
	}
}

// SetTaskNodes chooses the nodes that run the tasks of a query.
func (b *Batch) SetTaskNodes(query OID, nodes [][]int32) {
	frags := make([]string, len(nodes))
	for i, f := range nodes {
		frags[i] = formatNodes(f)
	}
	b.SetSetting(tasksKey(query), strings.Join(frags, fragSep))
}

// ForgetTaskNodes is for a query that is no more.
func (b *Batch) ForgetTaskNodes(query OID) { b.UnsetSetting(tasksKey(query)) }

// DealtNodes are the nodes that were active when the tasks were last levelled.
func (img *Image) DealtNodes() []int32 {
	v, ok := img.Setting(dealtKey)
	if !ok {
		return nil
	}
	return parseNodes(v)
}

// SetDealtNodes notes the nodes that are active as the tasks are levelled.
func (b *Batch) SetDealtNodes(nodes []int32) {
	b.SetSetting(dealtKey, formatNodes(slices.Sorted(slices.Values(nodes))))
}

func formatNodes(nodes []int32) string {
	var s []byte
	for i, n := range nodes {
		if i > 0 {
			s = append(s, nodesSep...)
		}
		s = strconv.AppendInt(s, int64(n), 10)
	}
	return string(s)
}

func parseNodes(s string) []int32 {
	var nodes []int32
	for _, part := range strings.Split(s, nodesSep) {
		n, err := strconv.ParseInt(part, 10, 32)
		if err != nil {
			n = int64(NoLeader)
		}
		nodes = append(nodes, int32(n))
	}
	return nodes
}
