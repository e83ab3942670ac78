"""iPhones and iPads by Apple's devicectl or pymobiledevice3; never run on one so far."""
