package files

// The fuzz test looks at these without the goroutines and the disk of Fetch.
var (
	ParseData = parseData
	Extension = extension
)
