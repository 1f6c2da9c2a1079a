// The machine: a column for the recurrent weights of one or two bits, a column for
// 12-bit weights, the lanes, the control and the memories.
//
// Values have two banks. A time step writes one and finds the states in the other,
// where they are the values that the step before has left. So nothing is copied
// between steps.
module accelerator
  import fixed::*;
  import microcode::*;
#(
    parameter int INSTRUCTIONS = 1,
    parameter int NARROW_BITS = 1,
    parameter int NARROW_UNITS = 100,
    parameter int WIDE_UNITS = 100,
    parameter int LANES = 100,
    parameter int SUM_BITS = 24,
    parameter int BOTH = 0,
    parameter int VALUE_WORDS = 1,
    parameter int SUM_WORDS = 1,
    parameter int NARROW_WORDS = 1,
    parameter int WIDE_WORDS = 1,
    parameter int SCALE_WORDS = 1,
    parameter int OFFSET_WORDS = 1,
    parameter int TABLES = 1,
    parameter int TOKENS = 1
) (
    input logic clk,
    input logic reset,
    input logic start,
    input int length,  // instructions of a time step
    // Between time steps: what a window and a time step start with. Position is the
    // time steps since the sequence started, old says that a word belongs to the step before.
    input logic place,
    input int place_position,
    input logic load,
    input logic load_old,
    input int load_address,
    input logic signed [23:0] load_value,
    input logic [TOKENS*32-1:0] tokens,
    output logic busy,
    output logic done
);
  // The contents of the memories that a network is.
  instruction_t instructions[INSTRUCTIONS];
  logic [NARROW_UNITS*NARROW_BITS-1:0] narrow_weights[NARROW_WORDS];
  logic [WIDE_UNITS*12-1:0] wide_weights[WIDE_WORDS];
  logic [15:0] scales[SCALE_WORDS];  // a mantissa of 12 bits, a shift of 4
  logic [23:0] offsets[OFFSET_WORDS];
  logic [11:0] tables[TABLES*4096];

  // What changes.
  int position;
  logic bank;
  logic signed [23:0] values[2*VALUE_WORDS];
  logic signed [SUM_BITS-1:0] sums[SUM_WORDS];

  instruction_t at;
  int pc, row, block, element;
  logic column_on, lanes_on, last;
  control #(
      .NARROW_UNITS(NARROW_UNITS),
      .WIDE_UNITS(WIDE_UNITS),
      .LANES(LANES)
  ) sequencer (
      .clk,
      .reset,
      .start,
      .length,
      .at,
      .pc,
      .busy,
      .row,
      .block,
      .element,
      .column_on,
      .lanes_on,
      .last,
      .done
  );
  assign at = instructions[pc < length ? pc : 0];

  function automatic exact_t read(input operand_t from, input int offset);
    exact_t raw;
    if (from.space == SUMS) raw = exact_t'(sums[from.address+offset]);
    else raw = exact_t'(values[from.address+offset+((from.space == PREVIOUS) != bank ? VALUE_WORDS : 0)]);
    return convert(raw, from.shift, from.bits);
  endfunction

  function automatic int entry_of(input rows_t t, input int offset);
    return t.address + (position < t.rows ? position : t.rows - 1) * t.row_words + t.each * offset;
  endfunction

  // The columns. A look-up is a sum of one product by 1.
  logic signed [11:0] x;
  int word;
  logic [NARROW_UNITS*NARROW_BITS-1:0] narrow_word;
  logic [WIDE_UNITS*12-1:0] wide_word;
  logic [NARROW_UNITS*SUM_BITS-1:0] narrow_sums, narrow_seconds;
  logic [WIDE_UNITS*SUM_BITS-1:0] wide_sums, wide_seconds;
  logic first;
  always_comb begin
    x = 12'sd1;
    word = 0;
    narrow_word = '0;
    wide_word = '0;
    first = at.op == LOOKUP || element == 0;
    if (column_on) begin
      if (at.op == LOOKUP) begin
        word = at.weights + block * at.columns + int'(tokens[at.token*32+:32]);
      end else begin
        word = at.weights + block * at.columns + element;
        if (element < at.split) x = 12'(read(at.x, element));
        else x = 12'(read(at.y, element - at.split));
      end
      if (at.wide != 0) wide_word = wide_weights[word];
      else narrow_word = narrow_weights[word];
    end
  end
  column #(
      .UNITS(NARROW_UNITS),
      .WEIGHT_BITS(NARROW_BITS),
      .SUM_BITS(SUM_BITS),
      .BOTH(BOTH)
  ) narrow (
      .clk,
      .enable(column_on && at.wide == 0),
      .first,
      .signs(at.signs != 0),
      .both(at.both != 0),
      .x,
      .weights(narrow_word),
      .sums(narrow_sums),
      .seconds(narrow_seconds)
  );
  column #(
      .UNITS(WIDE_UNITS),
      .WEIGHT_BITS(12),
      .SUM_BITS(SUM_BITS)
  ) wide (
      .clk,
      .enable(column_on && at.wide != 0),
      .first,
      .signs(1'b1),
      .both(1'b0),
      .x,
      .weights(wide_word),
      .sums(wide_sums),
      .seconds(wide_seconds)
  );

  // The lanes.
  logic signed [23:0] results[LANES];
  generate
    for (genvar l = 0; l < LANES; l++) begin : lanes
      exact_t a, b;
      logic [15:0] scale;
      logic signed [23:0] offset;
      logic signed [11:0] entry;
      always_comb begin
        a = '0;
        b = '0;
        scale = '0;
        offset = '0;
        entry = '0;
        if (lanes_on && row + l < at.rows) begin
          a = read(at.x, row + l);
          case (at.op)
            SCALE: begin
              scale = scales[entry_of(at.scales, row + l)];
              offset = offsets[entry_of(at.offsets, row + l)];
            end
            TABLE: entry = tables[at.table_number*4096+int'(a)+2048];
            default: b = read(at.y, row + l);
          endcase
        end
      end
      lane one (
          .op(lanes_on ? at.op : MATVEC),
          .x(a),
          .y(b),
          .x_left(at.x_left),
          .y_left(at.y_left),
          .mantissa(scale[15:4]),
          .right(at.exponent + int'(scale[3:0])),
          .offset,
          .entry,
          .shift(at.z.shift),
          .bits(at.z.bits),
          .z(results[l])
      );
    end
  endgenerate

  // What a cycle writes. The memories are written by blocking assignments, which a
  // simulator can do in a loop. At the same clock edge only the accumulators of the
  // units take in something that depends on the memories. Where a memory is written,
  // that is not used: the units begin afresh with the next block.
  int base;
  assign base = at.z.address + row + (bank ? VALUE_WORDS : 0);
  always @(posedge clk) begin
    if (lanes_on) begin
      for (int l = 0; l < LANES; l++) if (row + l < at.rows) values[base+l] = results[l];
    end
    if (column_on && last && at.wide == 0) begin
      for (int u = 0; u < NARROW_UNITS; u++)
        if (row + u < at.rows) begin
          write_sum(u, narrow_sums[u*SUM_BITS+:SUM_BITS]);
          if (at.both != 0) sums[at.second+row+u] = narrow_seconds[u*SUM_BITS+:SUM_BITS];
        end
    end
    if (column_on && last && at.wide != 0) begin
      for (int u = 0; u < WIDE_UNITS; u++) if (row + u < at.rows) write_sum(u, wide_sums[u*SUM_BITS+:SUM_BITS]);
    end
    if (load) values[load_address+(load_old != bank ? VALUE_WORDS : 0)] = load_value;
  end

  task automatic write_sum(input int u, input logic signed [SUM_BITS-1:0] sum);
    if (at.z.space == SUMS) sums[at.z.address+row+u] = sum;
    else values[base+u] = 24'(convert(exact_t'(sum), at.z.shift, at.z.bits));
  endtask

  always_ff @(posedge clk) begin
    if (done) begin
      bank <= ~bank;
      position <= position + 1;
    end
    if (place) position <= place_position;
    if (reset) bank <= 0;
  end
endmodule
