package engine

import (
	"context"
	"strconv"

	"github.com/millracedb/millrace/internal/sqlerr"
	"github.com/millracedb/millrace/replication/metadata"
	"github.com/millracedb/millrace/sql"
)

// settingLevel is what SHOW tells the cluster's feature level by, and ALTER SYSTEM the level above which it is not raised.
const settingLevel = "feature_level"

// featureLevel is the level that the cluster works at.
func (e *Engine) featureLevel() string {
	return strconv.FormatUint(uint64(e.meta.Image().FeatureLevel()), 10)
}

// alterSystem runs ALTER SYSTEM SET and RESET of the one setting that is the cluster's.
func (s *session) alterSystem(ctx context.Context, q *sql.AlterSystem) (string, error) {
	const tag = "ALTER SYSTEM"
	name, release := "", q.Reset != nil
	if release {
		name = q.Reset.Name
	} else {
		name, release = q.Set.Name, q.Set.Default
	}
	switch {
	case name != settingLevel:
		return "", sqlerr.New(sqlerr.FeatureNotSupported, "ALTER SYSTEM is for %s only", settingLevel).
			WithHint("SET changes a setting of the session, ALTER ROLE ... SET one of a role's sessions; those of a node are flags of millrace serve.").At(q.Offset())
	case !s.isSuperuser():
		return "", sqlerr.New(sqlerr.InsufficientPrivilege, "permission denied to set parameter %q", name).WithHint("Only superusers do.").At(q.Offset())
	case s.tx.stages():
		return "", sqlerr.New(sqlerr.ActiveSQLTransaction, "ALTER SYSTEM cannot run inside a transaction block").At(q.Offset())
	}
	if err := s.checkDDL(tag); err != nil {
		return "", err
	}
	d := s.beginDDL()
	if release {
		d.batch.ReleaseLevel()
		return tag, d.end(ctx)
	}
	level, err := heldLevel(d.img, q.Set)
	if err != nil {
		return "", err
	}
	d.batch.HoldLevel(level)
	return tag, d.end(ctx)
}

// heldLevel is the level of ALTER SYSTEM SET feature_level.
func heldLevel(img *metadata.Image, q *sql.Set) (uint32, error) {
	text := ""
	if len(q.Values) == 1 {
		text = q.Values[0].Text
	}
	level, err := strconv.ParseUint(text, 10, 32)
	if err != nil || level > metadata.FeatureMax {
		return 0, sqlerr.New(sqlerr.InvalidParameterValue, "invalid value for parameter %q: %q", settingLevel, text).
			WithHint("Allowed are levels up to %d, the highest that this release knows, and DEFAULT.", metadata.FeatureMax).At(q.Offset())
	}
	if now := img.FeatureLevel(); uint32(level) < now {
		return 0, sqlerr.New(sqlerr.ObjectNotInPrerequisiteState, "the feature level is %d already and never goes down", now).
			WithHint("To go back to a release that does not know it, restore a copy of all data directories that was made before.").At(q.Offset())
	}
	return uint32(level), nil
}
