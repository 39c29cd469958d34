package main

// Limits by the calendar name a time zone; small images have no database of them.
import _ "time/tzdata"
