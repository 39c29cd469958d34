#include "textflag.h"

// func prefetch(p unsafe.Pointer)
TEXT ·prefetch(SB), NOSPLIT, $0-8
	MOVQ p+0(FP), AX
	PREFETCHT0 (AX)
	RET

// func prefetchAndRead(p unsafe.Pointer) uint64
TEXT ·prefetchAndRead(SB), NOSPLIT, $0-16
	MOVQ p+0(FP), AX
	PREFETCHT0 (AX)
	RDTSC
	SHLQ $32, DX
	ORQ  DX, AX
	MOVQ AX, ret+8(FP)
	RET

// func readCounter() uint64
TEXT ·readCounter(SB), NOSPLIT, $0-8
	RDTSC
	SHLQ $32, DX
	ORQ  DX, AX
	MOVQ AX, ret+0(FP)
	RET

// func steadyCounter() bool
//
// Invariant TSC: CPUID 80000007h, EDX bit 8.
TEXT ·steadyCounter(SB), NOSPLIT, $0-1
	MOVB $0, ret+0(FP)
	MOVL $0x80000000, AX
	CPUID
	CMPL AX, $0x80000007
	JCS  done
	MOVL $0x80000007, AX
	CPUID
	SHRL $8, DX
	ANDL $1, DX
	MOVB DX, ret+0(FP)
done:
	RET

// func prefetchCells(log uintptr, c int64)
TEXT ·prefetchCells(SB), NOSPLIT, $0-16
	MOVQ log+0(FP), AX
	MOVQ c+8(FP), BX
	PREFETCHT0 (AX)
	MOVWLZX BX, CX // the number of runs
	SHRQ $16, BX   // the oldest
	ADDQ BX, CX    // past the newest
	SHLQ $4, BX
	SHLQ $4, CX
	PREFETCHT0 16(AX)(BX*1)
	PREFETCHT0 (AX)(CX*1)
	PREFETCHT0 16(AX)(CX*1)
	RET
