"""The services the scanner knows, one per file. To add one, add a file with a `@register`ed `Service`."""
