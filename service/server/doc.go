// Package server runs an [http.Handler] on a TCP address as a public service must be run: with a bound on everything that a
// client can make it hold, and with a stop that lets requests finish.
//
// [Listen] takes the address, so that a port in use is an error before anything else starts; [Server.Serve] answers requests
// until its context ends, and then drains:
//
//	s, err := server.Listen(server.Options{Address: "127.0.0.1:8080", Handler: handler})
//	if err != nil {
//		return err
//	}
//	fmt.Println("listening on", s.URL())
//	return s.Serve(ctx)
//
// Bodies may take as long as they need, in both directions, as long as they move: what is bounded is silence. So uploads of
// hours, server-sent events and websockets pass, and a client that sends one byte and waits does not.
package server
