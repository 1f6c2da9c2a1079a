// What the control reads: one instruction for each operation of a time step. The
// fields are in the order in which package rtl writes them.
package microcode;
  localparam int MATVEC = 0, LOOKUP = 1, SCALE = 2, ADD = 3, MULTIPLY = 4, TABLE = 5;

  // The memories that an operand may be in.
  localparam int VALUES = 0, PREVIOUS = 1, SUMS = 2;

  // operand_t is read at address, divided by 2^shift, rounded, and saturated to bits.
  typedef struct packed {
    int space, address, shift, bits;
  } operand_t;

  // rows_t is a table with a row for each time step; later steps read the last.
  typedef struct packed {
    int address, rows, row_words, each;  // each: 1 if every element has its own entry
  } rows_t;

  typedef struct packed {
    int op, wide;             // wide: on the 12-bit column
    int rows, columns;        // elements of the result; of the operand of a column
    int weights, signs;       // address; whether the code 0 of one bit is -1 and not 0
    int split, token;         // columns from split on are read from y; number of the token
    operand_t x, y;
    int x_left, y_left;       // ADD: shifts that align the operands
    rows_t scales, offsets;
    int exponent;             // SCALE: right shift of a mantissa with a shift of 0
    int table_number;
    operand_t z;              // shift and bits are those of the result's conversion
    int both, second;         // a second sum of the units, and its address
  } instruction_t;
endpackage
