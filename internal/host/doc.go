// Package host prepares what the server takes from its machine: accounts, directories, secrets,
// devices, memory and the environment of runner processes.
package host
