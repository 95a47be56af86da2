//go:build mutexesblock

#include "textflag.h"

// func idleTable() *[256]bool
TEXT ·idleTable(SB), NOSPLIT, $0-8
	MOVD $runtime·isIdleInSynctest(SB), R0
	MOVD R0, ret+0(FP)
	RET

// func nameTable() *[256]string
TEXT ·nameTable(SB), NOSPLIT, $0-8
	MOVD $runtime·waitReasonStrings(SB), R0
	MOVD R0, ret+0(FP)
	RET
