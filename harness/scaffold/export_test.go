package scaffold

// SourceIn is [Source] in an executable whose path of this package's file is the given one.
var SourceIn = source
