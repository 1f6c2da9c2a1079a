// The testbench fills the memories from the working folder, runs the windows of
// stimulus.txt, and writes after each time step what results.txt is to hold. It decides
// nothing: package rtl compares.
//
// stimulus.txt has the number of instructions of a time step, of its tokens and of the words
// to write out, and of each such word its memory, address, shift and bits. For each window
// follow the number of its time steps, its position in the tables and the states that it starts
// with, and for each time step its tokens and the inputs that it starts with. States and inputs
// are a count and so many pairs of address and value.
module testbench
  import fixed::*;
  import microcode::*;
();
`include "parameters.svh"
  logic clk = 0, reset = 1, start = 0, place = 0, load = 0, load_old = 0, busy, done;
  int position = 0, address = 0;
  logic [TOKENS*32-1:0] tokens = '0;
  logic signed [23:0] value = 0;
  always #1 clk = ~clk;

  accelerator #(
      .INSTRUCTIONS(INSTRUCTIONS),
      .NARROW_BITS(NARROW_BITS),
      .NARROW_UNITS(NARROW_UNITS),
      .WIDE_UNITS(WIDE_UNITS),
      .LANES(LANES),
      .SUM_BITS(SUM_BITS),
      .BOTH(BOTH),
      .VALUE_WORDS(VALUE_WORDS),
      .SUM_WORDS(SUM_WORDS),
      .NARROW_WORDS(NARROW_WORDS),
      .WIDE_WORDS(WIDE_WORDS),
      .SCALE_WORDS(SCALE_WORDS),
      .OFFSET_WORDS(OFFSET_WORDS),
      .TABLES(TABLES),
      .TOKENS(TOKENS)
  ) machine (
      .clk,
      .reset,
      .start,
      .length,
      .place,
      .place_position(position),
      .load,
      .load_old,
      .load_address(address),
      .load_value(value),
      .tokens,
      .busy,
      .done
  );

  operand_t outputs[OUTPUTS];
  int stimulus, results, steps, from, length, token_count, output_count;
  longint cycles;

  function automatic int next_number();
    int number;
    if ($fscanf(stimulus, "%d", number) != 1) return 0;
    return number;
  endfunction

  task automatic fill(input logic old);
    int count;
    count = next_number();
    load = 1;
    load_old = old;
    for (int i = 0; i < count; i++) begin
      address = next_number();
      value = 24'(next_number());
      @(negedge clk);
    end
    load = 0;
  endtask

  initial begin
    $readmemh("instructions.hex", machine.instructions);
    $readmemh("narrow.hex", machine.narrow_weights);
    $readmemh("wide.hex", machine.wide_weights);
    $readmemh("scales.hex", machine.scales);
    $readmemh("offsets.hex", machine.offsets);
    $readmemh("tables.hex", machine.tables);
    stimulus = $fopen("stimulus.txt", "r");
    results = $fopen("results.txt", "w");
    length = next_number();
    token_count = next_number();
    output_count = next_number();
    for (int i = 0; i < output_count; i++) begin
      outputs[i].space = next_number();
      outputs[i].address = next_number();
      outputs[i].shift = next_number();
      outputs[i].bits = next_number();
    end
    cycles = 0;
    @(negedge clk);
    @(negedge clk);
    reset = 0;
    for (steps = next_number(); steps > 0; steps = next_number()) begin
      position = next_number();
      place = 1;
      @(negedge clk);
      place = 0;
      fill(1);
      for (int step = 0; step < steps; step++) begin
        for (int i = 0; i < token_count; i++) tokens[i*32+:32] = next_number();
        fill(0);
        start = 1;
        @(negedge clk);
        start = 0;
        while (busy) begin
          cycles = cycles + 1;
          @(negedge clk);
        end
        // The step is over: what it wrote is now that of the step before.
        for (int i = 0; i < output_count; i++) begin
          from = outputs[i].address + ((outputs[i].space == VALUES) != machine.bank ? VALUE_WORDS : 0);
          $fwrite(results, "%0d\n", convert(exact_t'(machine.values[from]), outputs[i].shift, outputs[i].bits));
        end
      end
    end
    $fwrite(results, "cycles %0d\n", cycles);
    $fclose(results);
    $finish;
  end
endmodule
