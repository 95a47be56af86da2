//go:build mutexesblock

#include "textflag.h"

// func idleTable() *[256]bool
TEXT ·idleTable(SB), NOSPLIT, $0-8
	MOVQ $runtime·isIdleInSynctest(SB), AX
	MOVQ AX, ret+0(FP)
	RET

// func nameTable() *[256]string
TEXT ·nameTable(SB), NOSPLIT, $0-8
	MOVQ $runtime·waitReasonStrings(SB), AX
	MOVQ AX, ret+0(FP)
	RET
