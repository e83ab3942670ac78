package android.graphics;

import java.awt.image.BufferedImage;
import java.io.IOException;
import java.io.InputStream;
import javax.imageio.ImageIO;

/** A stand-in: decodes with the JVM's reader of pictures; null for what is none, as Android has it. */
public class BitmapFactory {
    public static Bitmap decodeStream(InputStream is) {
        try {
            BufferedImage picture = is == null ? null : ImageIO.read(is);
            if (picture == null) return null;
            int[] colours = picture.getRGB(0, 0, picture.getWidth(), picture.getHeight(), null, 0, picture.getWidth());
            Bitmap made = Bitmap.createBitmap(colours, picture.getWidth(), picture.getHeight(), Bitmap.Config.ARGB_8888);
            made.setHasAlpha(picture.getColorModel().hasAlpha());
            return made;
        } catch (IOException error) {
            return null;
        }
    }
}
