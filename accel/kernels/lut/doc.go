// Package lut multiplies packed matrices by one vector or by several. Inference at batch 1
// spends its time on reading weights, and weights of 1 or 2 bits are read 32 or 16
// times as fast as float32.
//
// # Planes
//
// The levels of each plane of a matrix are written as signs. With s = ±1 for a bit that
// is 1 or 0,
//
//	Levels[code] = centre + Σ weight[p]·s[p](code)   over planes p of bits
//
// holds exactly for binary (one plane, weight α, centre 0) and for ternary
// (two planes of weight α/2, centre 0):
//
//	code  value   plane 1  plane 0
//	 0     −α        0        0
//	 1      0        0        1
//	 2     +α        1        1
//
// Any two or three levels can be written so, and up to 256 levels if each bit of the code
// has a weight of its own, as in whole numbers. The scales of a plane, one or one a row,
// are part of its weights. A plane of up to 16 other levels is kept as codes, see Codes.
// A matrix with any other plane is multiplied as the float32 values it decodes to, and so
// is a matrix in full precision.
//
// # Partial sums
//
// With every sign ±1, four activations have 16 sums ±x₀±x₁±x₂±x₃. They are
// computed once per vector, and each 4 bits of a row of a plane look one up. Two
// planes of equal weight share tables and sum.
//
// [Exact] holds the sums as float32. [Int14] first rounds the activations to
// whole numbers
//
//	q = round(x·8191/max|x|), ties to even;   |q| ≤ 8191
//
// so that a sum of four fits in 16 bits (4·8191 = 32764), is kept as two bytes,
// and one instruction looks up 64 of them. The sums of a row are whole numbers
// and exact: every instruction set gives the same ones. Scaled to float32 they
// differ from the product with x itself by at most ½·max|x|/8191·Σ|w| a row, and
// the last few roundings.
//
// [Int8] rounds to |q| ≤ 4095, and then every partial sum s of q to one byte,
//
//	t = ⌊(s·m + 2¹⁴)/2¹⁵⌋,   m = ⌊127·2¹⁵/max s⌋;   |t| ≤ 127
//
// Its row sums Σt are whole numbers and exact as well, and a unit of them is
// max|x|/4095·2¹⁵/m. Each look-up adds an error of at most half a unit: one rounding
// for a group of activations, where activations of 8 bits have one each. What
// is a group depends on the instruction set: four signs of one plane, or on AVX-512
// five, or three sums of two planes' signs, which are digits −2, 0 and 2.
//
// # Codes
//
// Codes of up to 4 bits are multiplied as they are, with activations as float32
// whatever the precision: a permutation looks up the levels of a vector of codes in a
// register, and their products, each rounded, are added column after column. So every
// instruction set gives the same sums. A row is a lane of 32 bits: 32 ÷ k columns of
// k-bit codes, the first lowest; shifted right by k after each column. What stands above
// a code is looked up with it, in levels that are repeated to 16.
//
// # Several vectors
//
// A product with several vectors has the bits of the products with each. What it saves is
// reading: a stretch of the codes is read for all vectors, an index is made once for four
// (Int14 on AVX-512), and float32 weights are read once for up to eight. Look-ups themselves are not
// shared, so that signs gain less than float32 weights do.
//
// # Layout
//
// Rows go in blocks of 64, columns in chunks, both filled up with zero bits that
// meet activations of 0. A block holds chunk after chunk, a chunk plane after
// plane. The place of a weight's bit in the chunk of a plane is made for the
// instruction that reads it.
//
// Int14 on AVX-512, a chunk of 16 columns in 128 bytes, VPERMB on a table of four
// groups of 4 columns:
//
//	byte  64·(row/32) + 4·(row%16) + group
//	bit   7 6 5 4 3 2 1 0
//	      d d c c d d c c      c: row%32 < 16, d: row%32 ≥ 16
//	      3 2 3 2 1 0 1 0      column of the group
//
// Int8 on AVX-512, a chunk of 8 groups in 320 bytes, VPERMI2B (or VPERMB twice) on a table of four
// groups of 32 entries. A code has 5 bits: the signs of five columns of one plane,
// column 0 lowest; or for two planes together three digits to base 3, which is 1.67
// bits a ternary weight,
//
//	code = d₀ + 3·d₁ + 9·d₂,   d the number of planes whose sign is +1
//
// Eight vectors of codes, vector 4·(group/4) + row/16, lie in five; the last three
// are spread over the upper bits of the others:
//
//	byte  64·vector + 4·(row%16) + group%4
//	bit   7 6 5 4 3 2 1 0
//	      a a a 0 0 0 0 0      0 … 4: codes of the vectors 0 … 4, a, b, c: of 5, 6, 7
//	      b b b 1 1 1 1 1
//	      c c c 2 2 2 2 2
//	      c a a 3 3 3 3 3
//	      b c b 4 4 4 4 4
//
// where the first three bits of a, b and c are in order, and then follow bits 3
// and 4 of a in the fourth vector and of b in the fifth, and those of c in one each.
//
// Int14 and Int8 on AVX2, a chunk of 8 columns in 64 bytes, VPSHUFB on one group's
// table:
//
//	byte  32·(row/32) + 2·(row%16) + row%32/16
//	bit   7 … 4  group 1, columns 3 … 0
//	      3 … 0  group 0, columns 3 … 0
//
// Int14 and Int8 on NEON, a chunk of 8 columns in 64 bytes, TBL on one group's table:
//
//	byte  row
//	bit   7 … 4  group 1, columns 3 … 0
//	      3 … 0  group 0, columns 3 … 0
//
// Exact, at every level, a chunk of 32 columns in 256 bytes:
//
//	32-bit word  row
//	bit          column
//
// Codes, at every level, a chunk of 32 ÷ k columns in 256 bytes:
//
//	32-bit word  row
//	bits         k for each column
//
// Portable Go, Int14 and Int8, a chunk of 64 columns in 512 bytes, and tables of
// 256 sums of eight activations:
//
//	64-bit word  row
//	bit          column
package lut
