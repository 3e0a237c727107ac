package main

import (
	"errors"
	"fmt"
	"net"
	"syscall"
)

// listen opens the port. Its errors name the setting to change.
func (c *Serving) listen() (net.Listener, error) {
	open, err := net.Listen("tcp", net.JoinHostPort(c.Host, c.Port))
	if err == nil {
		return open, nil
	}
	host := fmt.Sprintf("host %s (%s)", c.Host, c.HostFrom)
	port := fmt.Sprintf("port %s (%s)", c.Port, c.PortFrom)
	switch reason := reasonOf(err); {
	case errors.Is(reason, syscall.EADDRINUSE):
		return nil, fmt.Errorf("%s: %w; stop the program that has it, "+
			"or choose another with --port or PORT (0 picks a free one)", port, reason)
	case errors.Is(reason, syscall.EACCES):
		return nil, fmt.Errorf("%s: %w; without root's rights choose one from 1024 up, "+
			"with --port or PORT", port, reason)
	default:
		return nil, fmt.Errorf("%s: %w; --host or COG_HOST must be an address of this machine, "+
			"such as 127.0.0.1 for itself alone or 0.0.0.0 for everyone", host, reason)
	}
}

// reasonOf returns the error of the kernel or the resolver, without the address.
func reasonOf(err error) error {
	var number syscall.Errno
	var lookup *net.DNSError
	switch {
	case errors.As(err, &number):
		return number
	case errors.As(err, &lookup):
		return errors.New(lookup.Err)
	}
	return err
}
