// The testbench of a unit of standard cells. It gives the module gates what stimulus.txt
// has of each cycle, counts how often each net that a cell drives changes from one cycle to
// the next, and compares the sums with those of the module unit, which is what the gates
// were made of.
//
// stimulus.txt has runs of cycles: a count and so many hexadecimal numbers, in whose bits
// are, from the highest, signs, first, the weight and x. Changes from the end of one run to
// the first cycle of the next are not counted. activity.txt gets the number of cycles in which
// changes were counted, the number of those in which the sums differ, and the changes of each
// net, in the order in which package rtl lists the nets.
module activity #(
    parameter int WEIGHT_BITS = 1,
    parameter int SUM_BITS = 24,
    parameter int NETS = 1
) ();
  logic [WEIGHT_BITS+13:0] given;
  logic clk = 0, enable = 1, both = 0, signs, first;
  logic signed [11:0] x;
  logic [WEIGHT_BITS-1:0] weight;
  logic signed [SUM_BITS-1:0] sum, second, expected, none;
  logic [NETS-1:0] nets, last;
  longint changes[NETS];
  longint totals[2];  // an array: Verilator 5.006 takes single variables for constants here
  int stimulus, file, count;

`include "gates.svh"
  unit #(
      .WEIGHT_BITS(WEIGHT_BITS),
      .SUM_BITS(SUM_BITS)
  ) reference (
      .clk,
      .enable,
      .first,
      .signs,
      .both,
      .x,
      .weight,
      .sum(expected),
      .second(none)
  );

  initial begin
    totals[0] = 0;
    totals[1] = 0;
    for (int n = 0; n < NETS; n++) changes[n] = 0;
    stimulus = $fopen("stimulus.txt", "r");
    while ($fscanf(stimulus, "%d", count) == 1) begin
      for (int cycle = 0; cycle < count; cycle++) begin
        if ($fscanf(stimulus, "%h", given) != 1) $fatal(1, "stimulus.txt ends early");
        {signs, first, weight, x} = given;
        #1;  // all nets settle
        if (sum != expected) totals[1] = totals[1] + 1;
        if (cycle > 0) begin
          totals[0] = totals[0] + 1;
          last = last ^ nets;
          for (int n = 0; n < NETS; n++) if (last[n]) changes[n] = changes[n] + 1;
        end
        last = nets;
        clk = 1;
        #1;
        clk = 0;
      end
    end
    file = $fopen("activity.txt", "w");
    $fwrite(file, "%0d %0d\n", totals[0], totals[1]);
    for (int n = 0; n < NETS; n++) $fwrite(file, "%0d\n", changes[n]);
    $fclose(file);
    $finish;
  end
endmodule
