package scaffold

// SourceIn is Source in an executable that names the file of this package so.
var SourceIn = source
