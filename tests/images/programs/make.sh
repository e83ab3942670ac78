#!/usr/bin/env bash
# Make the files of this folder with the programs that people use: bash tests/images/programs/make.sh
# Debian 12: imagemagick gifsicle apngasm webp netpbm libtiff-tools libimage-exiftool-perl libheif-examples
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
photo=$here/../rgb_96x64.png
work=$(mktemp -d)
trap 'rm -r "$work"' EXIT
cd "$work"

# Three frames of 32x24: a disc that wanders over nothing, so that frames must be cleared, and one that stands.
for frame in 0 1 2; do
  convert -size 32x24 xc:none -fill '#2060c0' -draw "circle $((8 + 8 * frame)),12 $((8 + 8 * frame)),6" \
    -fill '#e0e0e0' -draw 'rectangle 2,2 6,5' "$frame.png"
  convert "$frame.png" -background '#f0d080' -alpha remove -alpha off "opaque$frame.png"
done

# Frames cleared to nothing after 70, 120 and 0 ms (70, 120 and 0 hundredths), played three times over the first.
convert -dispose background -delay 7 0.png -delay 12 1.png -delay 0 2.png -loop 3 cleared.gif
cp cleared.gif "$here/imagemagick_cleared.gif"
# Only what changes, no clearing, for ever; gifsicle shares one palette and cuts the frames down.
convert -delay 5 opaque0.png -delay 25 opaque1.png -delay 10 opaque2.png -loop 0 whole.gif
gifsicle -O3 --comment 'made with gifsicle' whole.gif -o "$here/gifsicle_optimized.gif"
# Plays once: no loop extension.
gifsicle --no-loopcount whole.gif -o "$here/gifsicle_once.gif"
# gif2webp and apngasm take the same frames.
gif2webp -quiet cleared.gif -o "$here/gif2webp_cleared.webp"
for frame in 0 1 2; do echo "delay=$((7 + 5 * frame))/100" >"$frame.txt"; done
apngasm "$here/apngasm_cleared.png" 0.png -l3 >/dev/null
# The first picture is shown where animations are not, and is no frame.
apngasm "$here/apngasm_hidden_first.png" 0.png -l1 -f >/dev/null

# Pages of two sizes.
convert "$photo" -crop 24x20+40+20 +repage -compress lzw page1.tif
convert "$photo" -crop 30x16+10+30 +repage -colorspace Gray -compress zip page2.tif
tiffcp page1.tif page2.tif "$here/tiffcp_pages.tif"

# A camera's JPEG: everything that a camera and an editor write, lying on its side, with a thumbnail and a place.
convert "$photo" -rotate 270 -quality 90 -density 300 -units PixelsPerInch camera.jpg
convert "$photo" -resize 32x -quality 60 -strip thumbnail.jpg
exiftool -q -overwrite_original -n -Orientation=6 -Make=Test -Model='Camera 1' -DateTimeOriginal='2024:05:06 07:08:09' \
  -ExifImageWidth=64 -ExifImageHeight=96 -GPSLatitude=48.5 -GPSLatitudeRef=N -GPSLongitude=9.25 -GPSLongitudeRef=E \
  -Artist='A. Person' -Copyright='CC0 1.0' -UserComment='seen by hand' -IPTC:Keywords=cup -IPTC:City=Ulm \
  -XMP-dc:Title='A cup' -XMP-tiff:Orientation=6 -XMP-exif:ExifImageWidth=64 -Comment='a comment' \
  '-ThumbnailImage<=thumbnail.jpg' camera.jpg
cp camera.jpg "$here/exiftool_camera.jpg"
# ImageMagick keeps IPTC in a PNG text of its own kind, and repeats EXIF as texts; exiftool writes chunks.
convert camera.jpg -resize 48x "$here/imagemagick_camera.png"
convert "$photo" -crop 40x30+20+20 +repage -strip chunks.png
exiftool -q -overwrite_original -n -Orientation=8 -Artist='A. Person' -XMP-dc:Title='A cup' -PNG:Author='A. Person' \
  -PNG:Description='Größe über alles' chunks.png
cp chunks.png "$here/exiftool_chunks.png"
convert "$photo" -crop 40x30+20+20 +repage -compress zip -endian MSB tags.tif
exiftool -q -overwrite_original -n -Artist='A. Person' -Copyright='CC0 1.0' -DateTimeOriginal='2024:05:06 07:08:09' \
  -GPSLatitude=48.5 -GPSLatitudeRef=N -IPTC:City=Ulm -XMP-dc:Title='A cup' tags.tif
cp tags.tif "$here/exiftool_tags.tif"
cwebp -quiet -q 80 -metadata all camera.jpg -o "$here/cwebp_camera.webp"

# 16 bits per channel, by three programs; the low bytes hold a ramp.
convert "$photo" -crop 32x24+30+20 +repage -depth 16 -fx 'u*0.7+0.2*i/w' deep.ppm
cp deep.ppm "$here/imagemagick_deep.ppm"
pnmtopng deep.ppm >"$here/pnmtopng_deep.png" 2>/dev/null
convert deep.ppm -compress lzw "$here/imagemagick_deep.tif"

# Grey in disguise: R = G = B in a palette, and in a file of three channels.
convert "$photo" -colorspace Gray -colors 32 -type Palette "PNG8:$here/imagemagick_grey_palette.png"
convert "$photo" -colorspace Gray -define webp:lossless=true "$here/imagemagick_grey.webp"

# What phones write now.
heif-enc -q 70 camera.jpg -o "$here/heif_enc.heic"
heif-enc -A -q 70 camera.jpg -o "$here/heif_enc.avif"
