"""Rich scenes: things with parts, real lenses and light; for the photos and the zoo of studies that mean something."""
