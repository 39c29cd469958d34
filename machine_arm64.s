#include "textflag.h"

// func prefetch(p unsafe.Pointer)
TEXT ·prefetch(SB), NOSPLIT, $0-8
	MOVD p+0(FP), R0
	PRFM (R0), PLDL1KEEP
	RET

// func prefetchAndRead(p unsafe.Pointer) uint64
TEXT ·prefetchAndRead(SB), NOSPLIT, $0-16
	MOVD p+0(FP), R0
	PRFM (R0), PLDL1KEEP
	MRS  CNTVCT_EL0, R0
	MOVD R0, ret+8(FP)
	RET

// func readCounter() uint64
TEXT ·readCounter(SB), NOSPLIT, $0-8
	MRS  CNTVCT_EL0, R0
	MOVD R0, ret+0(FP)
	RET

// func steadyCounter() bool
//
// The generic timer runs at a fixed rate by its definition.
TEXT ·steadyCounter(SB), NOSPLIT, $0-1
	MOVD $1, R0
	MOVB R0, ret+0(FP)
	RET

// func prefetchCells(log uintptr, c int64)
TEXT ·prefetchCells(SB), NOSPLIT, $0-16
	MOVD log+0(FP), R0
	MOVD c+8(FP), R1
	PRFM (R0), PLDL1KEEP
	AND  $0xffff, R1, R2 // the number of runs
	LSR  $16, R1, R1     // the oldest
	ADD  R1, R2, R2      // past the newest
	ADD  R1<<4, R0, R1
	ADD  R2<<4, R0, R2
	PRFM 16(R1), PLDL1KEEP
	PRFM (R2), PLDL1KEEP
	PRFM 16(R2), PLDL1KEEP
	RET
