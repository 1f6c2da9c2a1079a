// The sequencer of one time step: instruction after instruction, of each block after
// block of rows, and within a block of a product column after column of the matrix.
module control
  import microcode::*;
#(
    parameter int NARROW_UNITS = 100,
    parameter int WIDE_UNITS = 100,
    parameter int LANES = 100
) (
    input logic clk,
    input logic reset,
    input logic start,
    input int length,        // instructions of a time step
    input instruction_t at,  // the instruction that pc points at
    output int pc,
    output logic busy,
    output int row,          // first of the block
    output int block,
    output int element,      // column of the matrix
    output logic column_on,
    output logic lanes_on,
    output logic last,       // cycle of a block
    output logic done        // last cycle of the time step
);
  int width;
  logic final_block;
  always_comb begin
    column_on = busy && (at.op == MATVEC || at.op == LOOKUP);
    lanes_on = busy && !column_on;
    width = !column_on ? LANES : at.wide != 0 ? WIDE_UNITS : NARROW_UNITS;
    last = busy && (at.op != MATVEC || element == at.columns - 1);
    final_block = row + width >= at.rows;
    done = start && length == 0 || last && final_block && pc == length - 1;
  end

  always_ff @(posedge clk) begin
    if (reset) begin
      busy <= 0;
    end else if (!busy) begin
      busy <= start && length > 0;
      pc <= 0;
      row <= 0;
      block <= 0;
      element <= 0;
    end else if (!last) begin
      element <= element + 1;
    end else begin
      element <= 0;
      if (!final_block) begin
        row <= row + width;
        block <= block + 1;
      end else begin
        row <= 0;
        block <= 0;
        pc <= pc + 1;
        busy <= !done;
      end
    end
  end
endmodule
